#!/bin/sh
# Checks what fsar_lab needs before anything is installed, and prints the one line to paste if something is
# missing. Usage: sh scripts/doctor.sh [PYTHON]   (default: the first fitting one of python3, python3.13, ...)
# Findings go to stderr; the chosen interpreter is the only thing printed to stdout. Exit status 1: not ready.
set -u

wanted=${1:-}
need_mb=3000   # a CPU build of torch and the rest
cuda_mb=9000   # a CUDA build of torch brings its libraries

say() { printf 'doctor: %s\n' "$*" >&2; }
sudo='sudo '
[ "$(id -u)" = 0 ] && sudo=
fix() {
    say "paste this, then try again:"
    printf '\n    %sapt-get update && %sapt-get install -y %s\n\n' "$sudo" "$sudo" "$*" >&2
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
fits() { case "$(version_of "$1")" in 3.11 | 3.12 | 3.13) return 0 ;; *) return 1 ;; esac; }

# --- Python ------------------------------------------------------------------------------------------------
python=
for candidate in ${wanted:-python3 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then
        python=$("$candidate" -c 'import sys; print(sys.executable)')
        break
    fi
done
if [ -z "$python" ]; then
    if [ -n "$wanted" ]; then
        say "PYTHON=$wanted is $(version_of "$wanted" || echo 'not a working interpreter'); needed: 3.11, 3.12 or 3.13."
        fits python3 && say "python3 is $(version_of python3) and would do: leave PYTHON out." && exit 1
    else
        say "no Python 3.11, 3.12 or 3.13 found (python3 is $(version_of python3 || echo missing))."
    fi
    offered=$(apt-cache policy python3 2>/dev/null | sed -n 's/.*Candidate: \(3\.[0-9]*\).*/\1/p')
    for version in "$offered" 3.13 3.12 3.11; do # the system's default if it fits, else another that it offers
        case "$version" in 3.11 | 3.12 | 3.13) ;; *) continue ;; esac
        if apt-cache show "python$version-dev" >/dev/null 2>&1; then
            fix "python$version python$version-venv python$version-dev gcc make"
            exit 1
        fi
    done
    case "$offered" in
    '') fix "python3 python3-venv python3-dev gcc make" ;;
    *) say "this system's packages offer none; pyenv does: pyenv install 3.13, then make PYTHON=\"\$(pyenv prefix 3.13)/bin/python\" ..." ;;
    esac
    exit 1
fi
version=$(version_of "$python")

# --- venv, compiler, headers -------------------------------------------------------------------------------
missing=
packages=
case "$python" in
/usr/bin/python3 | "/usr/bin/python$(version_of /usr/bin/python3)") prefix=python3 ;; # the system's default
*) prefix=python$version ;;
esac
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    missing="$missing venv"
    packages="$packages $prefix-venv"
fi
compiler=${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
echo '#include <stdio.h>' >"$scratch/compiler.c"
echo '#include <Python.h>' >"$scratch/headers.c"
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
# $compiler is left unquoted: it may carry options ("gcc -pthread")
if ! $compiler -c "$scratch/compiler.c" -o "$scratch/compiler.o" 2>/dev/null; then
    missing="$missing compiler($compiler)"
    packages="$packages gcc libc6-dev"
    [ -e "$include/Python.h" ] || { missing="$missing Python.h"; packages="$packages $prefix-dev"; }
elif ! $compiler -I"$include" -c "$scratch/headers.c" -o "$scratch/headers.o" 2>/dev/null; then
    missing="$missing Python.h"
    packages="$packages $prefix-dev"
fi
command -v make >/dev/null 2>&1 || { missing="$missing make"; packages="$packages make"; }
if [ -n "$missing" ]; then
    say "$python (Python $version) is fine, but missing:$missing"
    fix $packages
    exit 1
fi

# --- disk --------------------------------------------------------------------------------------------------
free_mb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
if [ "$free_mb" -lt "$need_mb" ]; then
    say "$free_mb MB free here; $need_mb MB are needed (about $cuda_mb MB where pip brings a CUDA build of torch)."
    say "free some space or clone to a larger disk."
    exit 1
fi
[ "$free_mb" -lt "$cuda_mb" ] &&
    say "note: $free_mb MB free; enough for a CPU build of torch, a CUDA build needs about $cuda_mb MB."

say "ok: $python (Python $version), venv, $compiler with headers, make, $free_mb MB free"
echo "$python"
