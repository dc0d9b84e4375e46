# Outlives its parent process by moments and clears up after it. Standard input is a pipe whose only writer is the
# parent: it ends when that process ends, however it ends (also SIGKILL). Lines:
#   SIGNAL PID STARTTIME   send SIGNAL to PID, if it is still the process that started at STARTTIME
#   remove PATH            remove PATH when all of these processes are gone
processes=
paths=
while read -r word rest; do
    case $word in
    remove) paths="$paths
$rest" ;;
    *) processes="$processes
$word $rest" ;;
    esac
done

alive() { # PID STARTTIME: a zombie counts as gone
    [ -r "/proc/$1/stat" ] || return 1
    set -- "$2" $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)
    [ "${2:-Z}" != Z ] && [ "${21:-}" = "$1" ]
}

signal_all() { # [SIGNAL]: SIGNAL, else each its own; fails if nobody was there
    found=1
    while read -r signal pid start; do
        [ -n "$pid" ] && alive "$pid" "$start" || continue
        found=0
        [ "$1" = 0 ] || kill -s "${1:-$signal}" "$pid" 2>/dev/null
    done <<LIST
$processes
LIST
    return $found
}

signal_all ""
tries=0
while signal_all 0; do
    tries=$((tries + 1))
    [ "$tries" -ne 80 ] || signal_all KILL
    [ "$tries" -lt 160 ] || break
    sleep 0.05
done
while read -r path; do
    [ -z "$path" ] || rm -rf -- "$path"
done <<LIST
$paths
LIST
