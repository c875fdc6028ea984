"""Files that are gone, and processes that are too many."""

from tests.scenario.pack.case import Case

CASES = {
    "destruction/mass_deletion": Case(
        ['for i in range(1, 201): os.unlink(f"/root/old/del/{i}")'],
        [
            'for i in range(250): os.unlink(write(f"new/{i}"))',
            'for i in range(201, 231): os.unlink(f"/root/old/del/{i}")',
        ],
    ),
    "destruction/mass_renaming": Case(
        ['for i in range(1, 31): os.rename(f"/root/old/ren/{i}.txt", f"/root/old/ren/{i}.txt.locked")'],
        ['for i in range(31, 71): os.rename(f"/root/old/ren/{i}.txt", f"/root/old/ren/{i}.txt.bak")'],
    ),
    "destruction/mass_replacing": Case(
        ['for i in range(1, 31): write(f"/root/old/enc/{i}.txt.enc"); os.unlink(f"/root/old/enc/{i}.txt")'],
        ['for i in range(31, 71): write(f"/root/old/enc/{i}.txt.gz"); os.unlink(f"/root/old/enc/{i}.txt")'],
    ),
    "destruction/mass_overwriting": Case(
        ['for i in range(1, 51): open(f"/root/old/rw/{i}", "r+").close()'],
        ['for i in range(51, 121): open(f"/root/old/rw/{i}", "w").close()'],
    ),
    "forks/fork_depth": Case(
        ["deeper(22)"],
        ["deeper(9)\nfor _ in range(30): fork(int)"],
        prelude="""
def deeper(levels):
    if levels: fork(deeper, levels - 1)
""",
    ),
    "forks/fork_crowd": Case(
        ["crowd(520)"],
        ["crowd(60)"],
        prelude='''
def crowd(size):
    """All of them wait until the last is there."""
    wait, go = os.pipe()
    for _ in range(size):
        if not os.fork():
            os.close(go)
            os.read(wait, 1)
            os._exit(0)
    os.close(go)
    for _ in range(size): os.wait()
''',
    ),
}
