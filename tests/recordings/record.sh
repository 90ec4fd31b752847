#!/usr/bin/env bash
# Make the recordings in playbooks/samples/suricata again. Needs Suricata 7 and a Python with scapy (PYTHON=...).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/playbooks/samples/suricata
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" "$here/traffic.py" "$work/demo.pcap"
touch "$work/classification.config" "$work/reference.config"
for class in attempted-admin attempted-user command-and-control attempted-recon policy-violation; do
  echo "config classification: $class,$class,3" >> "$work/classification.config"
done
cp "$here/suricata.yaml" "$work/"
(cd "$work" && suricata -c suricata.yaml -S "$here/demo.rules" -r demo.pcap -l . -k none --runmode single > suricata.log 2>&1) \
  || { cat "$work/suricata.log" >&2; exit 1; }
mkdir -p "$out"
"${PYTHON:-python3}" "$here/pick.py" "$work/eve.json" "$out"
