#!/bin/sh
# Every processor at full speed, until the next boot.
set -eu
for governor in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do
    echo performance > "$governor"
done
