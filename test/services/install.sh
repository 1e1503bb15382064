#!/usr/bin/env bash
# test/services/install.sh: installs by apt the servers that the tests need and this machine has not. Needs root and Debian.
# PostgreSQL is not here: it comes from npm. Starts nothing: each test starts its own server.
set -euo pipefail

wanted=()
command -v redis-server >/dev/null || wanted+=(redis-server)
command -v prometheus >/dev/null && command -v promtool >/dev/null || wanted+=(prometheus)
if [ ${#wanted[@]} -eq 0 ]; then
  echo "install: redis-server and prometheus are here"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "install: ${wanted[*]} missing, and only root can install: sudo $0" >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "install: ${wanted[*]} missing, and there is no apt-get on this machine" >&2
  exit 1
fi

# A Debian package starts its service when it is installed, unless this file forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

# Another apt may be at work. DPkg::Lock::Timeout waits for the lock of dpkg, and not for the one of the lists: hence the retries.
export DEBIAN_FRONTEND=noninteractive
options=(-qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
for attempt in 1 2 3 4 5; do
  if apt-get "${options[@]}" install -y --no-install-recommends "${wanted[@]}"; then
    echo "install: installed ${wanted[*]}"
    exit 0
  fi
  # the lists may be absent or older than the archive
  apt-get "${options[@]}" update || true
  echo "install: attempt $attempt failed" >&2
  sleep $((attempt * 3))
done
echo "install: ${wanted[*]} could not be installed" >&2
exit 1
