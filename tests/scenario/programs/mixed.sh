# 23 execs, 17 connects of which 5 refused, 31 written files, 7 renames, 3 unlinks: these and the parts in Python and C.
# Usage: mixed.sh PYTHON PART.PY PART OPEN_PORT CLOSED_PORT OPEN_SOCKET CLOSED_SOCKET; it works in the current directory.
set -e
python=$1 script=$2 program=$3
shift 3

for number in 0 1 2 3 4 5 6 7 8 9 10; do
	echo "number $number" >"sh-$number"
done
/bin/mv sh-0 sh-zero
/bin/mv sh-1 "sh one"
/bin/mv sh-2 sh-two
/bin/rm sh-3
/usr/bin/env /bin/true "from env"
(/bin/cat sh-4 | /bin/cat) >&2
/bin/sh -c 'exit 0'
"$python" -I -S "$script" "$@"
exec "$program" "$@"
