#!/bin/sh
# The full guest's last unit: say what happened, then power off.
. /usr/lib/guest/report-lib.sh

UNITS="larder-early.service larder-firstboot.service larder-download.service larder-net.service
larder-net.path larder-ready.target systemd-networkd.service sysinit.target network-pre.target
network.target network-online.target basic.target multi-user.target"
PROPERTIES=Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,CPUUsageNSec,StatusText
PROPERTIES=$PROPERTIES,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic
PROPERTIES=$PROPERTIES,ActiveEnterTimestampMonotonic

no_jobs() {
	[ "$(systemctl list-jobs --no-legend | wc -l)" = 0 ]
}

larder_journal() {
	journalctl -b -q --no-pager -o short-monotonic -u larder-early -u larder-firstboot \
		-u larder-download -u larder-net
}

# PID 1 said so before journald ran, so the line came through the kernel: look at all lines.
ordering_cycles() {
	journalctl -b -q --no-pager -o cat | grep -i 'ordering cycle' || true
}

dmesg -n 1
state=$(systemctl is-system-running --wait)
wait_for 60 no_jobs
mark report
report_address
report_devices
block state echo "$state"
block failed systemctl list-units --failed --plain --no-legend --no-pager
block manager systemctl show -p UserspaceTimestampMonotonic,FinishTimestampMonotonic
block units systemctl show $UNITS -p $PROPERTIES
block online systemctl is-active network-online.target
block addr ip -j addr
report_larder
block journal larder_journal
block cycles ordering_cycles
report_extra
mark poweroff
echo "@guest-done"
systemctl poweroff --force
