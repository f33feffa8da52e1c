#!/bin/sh
# What udhcpc runs on a lease: only the address and the way out.
case $1 in
deconfig) ip link set "$interface" up ;;
bound | renew)
	ip addr add "$ip/$mask" dev "$interface"
	ip route add default via "$router" dev "$interface"
	;;
esac
