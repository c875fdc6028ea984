"""What others sign in with."""

from tests.scenario.pack.case import Case

AWS = """
write("/root/.aws/credentials")
write("aws", "open('/root/.aws/credentials')")
"""
CASES = {
    "credentials/ssh_private_keys": Case(
        [
            'read("/root/.ssh/id_ed25519")',
            'os.close(os.open(write("/root/.ssh/deploy.pem"), os.O_RDWR))',
            'read("/etc/ssh/ssh_host_rsa_key")',
        ],
        [
            'read("/root/.ssh/id_ed25519.pub"); read("/root/.ssh/known_hosts"); read("id_ed25519")',
            'write("/root/.ssh/id_dsa"); run("/usr/bin/ssh-keygen", "-y", "-f", "/root/.ssh/id_dsa")',
        ],
    ),
    "credentials/ssh_key_renamed": Case(
        ['write("/root/.ssh/id_rsa"); os.link("/root/.ssh/id_rsa", "/root/harmless")'],
        ['write("/root/.ssh/x.pub"); os.rename("/root/.ssh/x.pub", "/root/harmless.pub")'],
    ),
    "credentials/cloud_credentials": Case(
        [
            'read("/root/.aws/credentials")',
            'read("/root/.config/gcloud/application_default_credentials.json")',
        ],
        [
            'read("/root/.aws/config"); read("credentials")',
            AWS + 'run(PYTHON, "-IS", "aws")',
        ],
    ),
    "credentials/git_credentials": Case(
        ['read("/root/.git-credentials")', 'read("/root/.netrc")', 'read("/root/.config/gh/hosts.yml")'],
        [
            'read("/root/.gitconfig"); read("netrc")',
            'write("/root/.netrc"); run("/usr/bin/curl", "-n", "-m1", "http://127.0.0.1:9/")',
        ],
    ),
    "credentials/package_tokens": Case(
        ['read("/root/.npmrc")', 'read("/root/.pypirc")'],
        ['read(".npmrc"); read("/root/.config/pip/pip.conf")'],
    ),
    "credentials/browser_secrets": Case(
        [
            'read("/root/.config/google-chrome/Default/Login Data")',
            'read("/root/.mozilla/firefox/a.default/logins.json")',
        ],
        ['read("Cookies"); read("/root/.config/google-chrome/Default/History"); read("logins.csv")'],
    ),
    "credentials/shell_history": Case(
        ['read("/root/.bash_history")'],
        ['run("/bin/bash", "-c", "read x </root/.bash_history"); read("/root/.bashrc")'],
    ),
    "credentials/process_environment": Case(
        ['read(f"/proc/{os.getppid()}/environ")'],
        ['read("/proc/self/environ"); read("/proc/self/status"); read("environ")'],
    ),
    "credentials/cluster_credentials": Case(
        [
            'read("/root/.kube/config")',
            'read("/root/.docker/config.json")',
            'read("/var/run/secrets/kubernetes.io/serviceaccount/token")',
        ],
        ['read("config.json"); read("/root/.kube/cache"); read("docker/config.json")'],
    ),
    "credentials/password_hashes": Case(['read("/etc/shadow")'], ['read("/etc/passwd"); read("shadow")']),
    "credentials/keyrings": Case(
        [
            'read("/root/.gnupg/private-keys-v1.d/AB12.key")',
            'read("/root/.password-store/mail.gpg")',
            'read("/root/.ethereum/keystore/UTC--1")',
        ],
        ['read("/root/.gnupg/pubring.kbx"); read("/root/.password-store/.gpg-id"); read("mail.gpg")'],
    ),
    "credentials/agent_tokens": Case(
        ['read("/root/.claude/.credentials.json")', 'read("/root/.codex/auth.json")'],
        ['read("/root/.claude/history.jsonl"); read("auth.json")'],
    ),
}
