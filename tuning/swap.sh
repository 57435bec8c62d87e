#!/bin/sh
# Swap only when nothing else helps.
set -eu
sysctl -w vm.swappiness=1
