# A world of the test's own: what is written to /etc, /root and their like stays in here, and every address of
# 198.51.100.0/24 (outside), 10.77.0.0/16 (internal) and 169.254.169.0/24 is this machine.
#
#   unshare --mount --net sh world.sh FOLDER COMMAND...      standard input is the sink's: it ends with that
set -e
folder=$1
shift
mount -t tmpfs world "$folder"
for place in etc root home usr var; do
	mkdir -p "$folder/$place/upper" "$folder/$place/work"
	mount -t overlay -o "lowerdir=/$place,upperdir=$folder/$place/upper,workdir=$folder/$place/work" world "/$place"
done
mkdir -p "$folder/dev/net" "$folder/dev/pts" "$folder/dev/shm" "$folder/dev/dri"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$folder/dev"
ln -s /proc/self/fd "$folder/dev/fd"
ln -s pts/ptmx "$folder/dev/ptmx"
touch "$folder/dev/net/tun" "$folder/dev/nvidia0" "$folder/dev/vda"
mount -t devpts -o newinstance,ptmxmode=0666 world "$folder/dev/pts"
mount --rbind "$folder/dev" /dev
ip link set lo up
for network in 198.51.100.1/24 10.77.0.1/16 169.254.169.1/24; do ip address add "$network" dev lo; done

# What is there before anybody watches.
mkdir -p /root/old /var/log
for name in del ren enc rw; do mkdir "/root/old/$name"; done
(cd /root/old/del && seq 230 | xargs touch)
(cd /root/old/ren && seq 70 | sed 's/$/.txt/' | xargs touch)
(cd /root/old/enc && seq 70 | sed 's/$/.txt/' | xargs touch)
(cd /root/old/rw && seq 120 | xargs touch)
echo secret >/root/.bash_history
echo secret >/root/.zsh_history
echo line >/var/log/rubicon-test.log
echo line >/var/log/rubicon-test2.log

exec 3<&0
unshare --uts "$PYTHON" -IS "$(dirname "$0")/sink.py" <&3 >/dev/null 2>&1 &
echo $! >/var/tmp/stranger
read -r ready <"$READY"
exec "$@" </dev/null 3<&-
