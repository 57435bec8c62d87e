#!/bin/sh
# Room for clients that come all at once.
set -eu
sysctl -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096
