#!/bin/sh
# Runs a command with a SLURM of one node, this machine, around it: slurm_one_node.sh COMMAND [ARGUMENT...]
# Needs root, for the daemons start jobs; installs Debian's packages if they are missing. Everything the daemons
# write lies in a temporary folder; they end with the command. Exit status: the command's; 3: SLURM did not start.
set -u

say() { printf 'slurm: %s\n' "$*" >&2; }
give_up() {
    say "$*"
    for log in "$work"/*.log; do
        [ -s "$log" ] && { say "the end of $(basename "$log"):"; tail -n 15 "$log" >&2; }
    done
    exit 3
}
stop() {
    for pid in "$work"/*.pid; do
        [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null
    done
    sleep 1
    rm -rf "$work"
}

work=$(mktemp -d /tmp/slurm.XXXXXX) || exit 3
chmod 755 "$work"
trap stop EXIT
trap 'exit 130' INT TERM

[ "$(id -u)" = 0 ] || give_up "root is needed to start slurmd and to install packages"
missing=
for tool in slurmctld slurmd sbatch munged; do
    command -v "$tool" > /dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    say "installing slurm-wlm and munge"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends slurm-wlm munge; } \
        > "$work/apt.log" 2>&1 || give_up "the packages cannot be installed"
fi

# Munge lets the daemons trust each other; its key must be readable by nobody else.
mkdir -m 700 "$work/key" && head -c 1024 /dev/urandom > "$work/key/munge.key" && chmod 600 "$work/key/munge.key"
munged --force --key-file="$work/key/munge.key" --socket="$work/munge.socket" --pid-file="$work/munged.pid" \
    --seed-file="$work/key/seed" --log-file="$work/munged.log" 2> "$work/munged.err.log" || give_up "munged did not start"

node=$(hostname -s)
cat > "$work/slurm.conf" << CONF
ClusterName=one
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$work/munge.socket
# Without control groups and accounting, which a container does not have.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
SlurmctldPort=46817
SlurmdPort=46818
ReturnToService=2
JobRequeue=0
KillWait=5
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$work/slurm.conf"
mkdir "$work/state" "$work/spool"
slurmctld > "$work/slurmctld.err.log" 2>&1 || give_up "slurmctld did not start"
slurmd > "$work/slurmd.err.log" 2>&1 || give_up "slurmd did not start"

tries=0
until srun --immediate=5 true 2> "$work/srun.log"; do
    tries=$((tries + 1))
    [ "$tries" -lt 10 ] || give_up "no job can be started; sinfo: $(sinfo --noheader --format='%N %T %E' 2>&1)"
    sleep 1
done
say "$(slurmctld -V) runs on $node: $(sinfo --noheader --format='%c cores, %T')"
"$@"
