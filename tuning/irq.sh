#!/bin/sh
# The queues of disks and network cards over all processors in turn. $1: how many there are.
set -eu
processors="$1"
at=0
for irq in $(sed -nE "s/^ *([0-9]+):.*(nvme|eth|mlx).*/\1/p" /proc/interrupts); do
    echo "$at" > "/proc/irq/$irq/smp_affinity_list"
    at=$(((at + 1) % processors))
done
