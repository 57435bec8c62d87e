#!/bin/sh
# Huge pages only for those who ask.
set -eu
echo madvise > /sys/kernel/mm/transparent_hugepage/enabled
