#!/bin/sh
# Starts a Redis, or the Sentinel beside it: `start.sh redis`, `start.sh sentinel`. Asks the one of this pod as the
# operator: `start.sh ask redis INFO memory`, `start.sh ask sentinel SENTINEL CKQUORUM sluice` (docs/runbook.md).
#
# What they need and a ConfigMap must not hold is written into RUN, which is to be in memory: passwords, and the users
# with the hashes of theirs. No password is ever an argument of a command.
set -eu
umask 077

: "${SELF:?the name by which the others reach this one}"
: "${PEERS:?all of them, the first of which begins as the primary}"
: "${CONFIG:=/etc/sluice-redis}"
: "${PASSWORDS:=/run/secrets/sluice-redis}"
: "${TLS:=/run/secrets/sluice-redis-tls}"
: "${RUN:=/run/sluice-redis}"
: "${DATA:=/data}"
: "${PORT:=6379}"
: "${SENTINEL_PORT:=26379}"
: "${DOWN_AFTER_MS:=5000}"

password() { tr -d '\r\n' < "$PASSWORDS/$1"; }

# As a line of redis.conf has it.
quoted() { printf '"%s"\n' "$(password "$1" | sed 's/["\\]/\\&/g')"; }

hash_of() { password "$1" | sha256sum | cut -d ' ' -f 1; }

# Of a password, and of the one that is to take its place, where there is one.
hashes() {
  hash_of "$1" | tr -d '\n'
  [ ! -s "$PASSWORDS/next-$1" ] || echo " #$(hash_of "next-$1")"
}

users() {
  sed -e "s/SLUICE_SHA256/$(hashes password)/" -e "s/REPLICA_SHA256/$(hashes replica-password)/" \
    -e "s/SENTINEL_SHA256/$(hashes sentinel-password)/" -e "s/OPERATOR_SHA256/$(hashes operator-password)/" \
    "$CONFIG/$1" > "$RUN/$1"
  echo "aclfile $RUN/$1"
}

tls() {
  echo "tls-cert-file $TLS/tls.crt"
  echo "tls-key-file $TLS/tls.key"
  echo "tls-ca-cert-file $TLS/ca.crt"
}

# USER HOST PORT COMMAND...: what that one answers. WITHIN (`timeout 2`) goes before it.
asked() {
  user=$1 host=$2 port=$3
  shift 3
  # shellcheck disable=SC2086 # WITHIN is none or several words
  REDISCLI_AUTH=$(password "$user-password") ${WITHIN-} redis-cli --tls --cacert "$TLS/ca.crt" --cert "$TLS/tls.crt" \
    --key "$TLS/tls.key" --user "$user" --no-auth-warning -h "$host" -p "$port" "$@"
}

# Host and port of the primary as a Sentinel that runs already knows it: "host port".
known_primary() {
  for peer in $PEERS; do
    rest=${peer#*:}
    found=$(WITHIN="timeout 2" asked sentinel "${peer%%:*}" "${rest#*:}" sentinel get-master-addr-by-name sluice \
      2> /dev/null | tr '\n' ' ') || continue
    case $found in *[0-9]\ ) echo "$found" && return ;; esac
  done
  first=${PEERS%% *} rest=${first#*:}
  echo "${first%%:*} ${rest%%:*}"
}

# An empty password has a hash like any other, and would let in whoever sends none.
for name in password replica-password sentinel-password operator-password; do
  [ -n "$(password "$name")" ] && continue
  echo "start.sh: $PASSWORDS/$name is missing or empty: write the password into it" >&2
  exit 2
done

if [ "$1" = ask ]; then
  case ${2-} in
    redis) port=$PORT ;;
    sentinel) port=$SENTINEL_PORT ;;
    *) echo "start.sh: ask whom? '${2-}' is neither redis nor sentinel" >&2 && exit 2 ;;
  esac
  shift 2
  asked operator "$SELF" "$port" "$@"
  exit
fi

# shellcheck disable=SC2046 # two words are meant
set -- "$1" $(known_primary)

case $1 in
  redis)
    {
      cat "$CONFIG/redis.conf"
      echo "tls-port $PORT"
      tls
      users users.acl
      printf 'masterauth %s\n' "$(quoted replica-password)"
      echo "dir $DATA"
      echo "replica-announce-ip $SELF"
      echo "replica-announce-port $PORT"
      [ "$2 $3" = "$SELF $PORT" ] || echo "replicaof $2 $3"
    } > "$RUN/redis.conf"
    exec redis-server "$RUN/redis.conf"
    ;;
  sentinel)
    {
      cat "$CONFIG/sentinel.conf"
      echo "tls-port $SENTINEL_PORT"
      tls
      users sentinel-users.acl
      printf 'sentinel sentinel-pass %s\n' "$(quoted sentinel-password)"
      echo "dir $RUN"
      echo "sentinel announce-ip $SELF"
      echo "sentinel announce-port $SENTINEL_PORT"
      echo "sentinel monitor sluice $2 $3 2"
      echo "sentinel auth-user sluice sentinel"
      printf 'sentinel auth-pass sluice %s\n' "$(quoted sentinel-password)"
      echo "sentinel down-after-milliseconds sluice $DOWN_AFTER_MS"
      echo "sentinel failover-timeout sluice $((DOWN_AFTER_MS * 4))"
      echo "sentinel parallel-syncs sluice 1"
    } > "$RUN/sentinel.conf"
    exec redis-server "$RUN/sentinel.conf" --sentinel
    ;;
  *)
    echo "start.sh: '$1' is neither redis nor sentinel" >&2
    exit 2
    ;;
esac
