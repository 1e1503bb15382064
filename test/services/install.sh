#!/usr/bin/env bash
# test/services/install.sh: installs by apt the servers that the tests need and this machine has not. Needs root and Debian.
# Kafka is no Debian package: Maven fetches its jars into the user's cache folder, where kafka.mjs looks for them.
# PostgreSQL is not here: it comes from npm. Starts nothing: each test starts its own server.
set -euo pipefail

# Fetched beside the folder and moved when all is there: half of it would look like all of it.
kafka_version=4.4.0 # the same in kafka.mjs
kafka_jars=${XDG_CACHE_HOME:-$HOME/.cache}/afterspan-tests/kafka-$kafka_version
has_kafka() { [ -e "$kafka_jars/kafka-clients-$kafka_version.jar" ]; }
fetch_kafka() {
  local work
  has_kafka && return 0
  mkdir -p "$(dirname "$kafka_jars")"
  work=$(mktemp -d "$kafka_jars.XXXXXX")
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>afterspan.tests</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
POM
  for attempt in 1 2 3; do
    if mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/jars"; then
      mv -T "$work/jars" "$kafka_jars" || has_kafka # another run may have been faster
      rm -rf "$work"
      echo "install: fetched Kafka $kafka_version"
      return 0
    fi
    echo "install: Kafka: attempt $attempt failed" >&2
    sleep $((attempt * 3))
  done
  rm -rf "$work"
  echo "install: Kafka $kafka_version could not be fetched by Maven" >&2
  return 1
}

wanted=()
command -v redis-server >/dev/null || wanted+=(redis-server)
command -v mariadbd >/dev/null || wanted+=(mariadb-server)
command -v nats-server >/dev/null || wanted+=(nats-server)
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || wanted+=(rabbitmq-server)
command -v prometheus >/dev/null && command -v promtool >/dev/null || wanted+=(prometheus)
command -v java >/dev/null || wanted+=(default-jre-headless)
has_kafka || command -v mvn >/dev/null || wanted+=(maven)
if [ ${#wanted[@]} -eq 0 ]; then
  echo "install: what comes by apt is here"
  fetch_kafka
  exit
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
    fetch_kafka
    exit
  fi
  # the lists may be absent or older than the archive
  apt-get "${options[@]}" update || true
  echo "install: attempt $attempt failed" >&2
  sleep $((attempt * 3))
done
echo "install: ${wanted[*]} could not be installed" >&2
exit 1
