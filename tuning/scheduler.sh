#!/bin/sh
# No scheduler in front of a disk. $1: the disk, such as nvme0n1.
set -eu
echo none > "/sys/block/$1/queue/scheduler"
