# What both guests report. Every line of a block carries the block's name, so console noise
# between the lines does no harm.

mark() {
	read -r up _ </proc/uptime
	echo "@guest-mark $up $*"
}

# block NAME COMMAND...: its output, then its exit status
block() {
	name=$1
	shift
	{ "$@" 2>&1; echo $? >/run/guest-code; } | sed "s|^|@guest $name: |"
	echo "@guest-end $name $(cat /run/guest-code)"
}

net_names() {
	for dev in /sys/class/net/*; do
		[ -e "$dev/device" ] && echo "${dev##*/}"
	done
}

driver_of() {
	driver=$(readlink "$1/driver")
	echo "${driver##*/}"
}

net_devices() {
	for name in $(net_names); do
		dev=/sys/class/net/$name
		echo "$name driver=$(driver_of $dev/device) operstate=$(cat $dev/operstate)" \
			"carrier=$(cat $dev/carrier 2>/dev/null) address=$(cat $dev/address)"
	done
}

pci_nics() {
	for dev in /sys/bus/pci/devices/*; do
		case $(cat "$dev/class") in
		0x02*) echo "${dev##*/} driver=$(driver_of $dev) modalias=$(cat $dev/modalias)" ;;
		esac
	done
}

ipv4() {
	ip -o -4 addr show scope global
}

# wait_for SECONDS COMMAND...: true as soon as the command is
wait_for() {
	left=$(($1 * 5))
	shift
	while [ $left -gt 0 ]; do
		"$@" && return 0
		sleep 0.2
		left=$((left - 1))
	done
	return 1
}

has_ipv4() {
	[ -n "$(ipv4)" ]
}

# The kernel command line says how long an address may take: guest.wait=SECONDS
wait_seconds() {
	sed -n 's/.*guest\.wait=\([0-9]*\).*/\1/p' /proc/cmdline | grep . || echo 20
}

reach_gateway() {
	ping -c 1 -W 3 10.0.2.2
}

report_address() {
	if [ -n "$(net_names)" ] && wait_for "$(wait_seconds)" has_ipv4; then
		mark address
		block ping reach_gateway
		mark ping
	fi
	block ipv4 ipv4
}

report_devices() {
	block net net_devices
	block pci pci_nics
}

updates() {
	find /lib/modules/*/updates ! -type d 2>/dev/null || true
}

report_larder() {
	for pair in status:/run/larder/status.json result:/var/lib/larder/result.json; do
		[ ! -e "${pair#*:}" ] || block "${pair%%:*}" cat "${pair#*:}"
	done
	block updates updates
}

report_extra() {
	for script in /usr/lib/guest/report.d/*; do
		[ ! -e "$script" ] || block "${script##*/}" sh "$script"
	done
}
