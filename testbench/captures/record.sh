#!/usr/bin/env bash
# Records the capture that is built into ctnic: real programs talking between network namespaces made here.
# Needs root, and: iproute2 tcpdump ethtool nginx curl openssh dnsmasq bind9-dnsutils iputils-ping netcat-openbsd python3.
# Stops by itself after about half a minute and leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/embedded.pcap.gz}
work=$(mktemp -d)
ns() { ip netns exec "ctnic-$1" "${@:2}"; }
cleanup() {
    for name in client router server; do
        ip netns pids "ctnic-$name" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "ctnic-$name" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

for name in client router server; do ip netns add "ctnic-$name"; ns $name ip link set lo up; done
link() { # namespace, its interface, address prefix side A, router's interface
    ip link add "$2" netns "ctnic-$1" type veth peer name "$3" netns ctnic-router
    ns "$1" ip link set "$2" up; ns router ip link set "$3" up
    for end in "$1 $2" "router $3"; do set -- $end; ns "$1" ethtool -K "$2" tso off gso off gro off tx off rx off >/dev/null; done
}
link client eth0 to-client
link server eth0 to-server
for i in 10 11 12 13; do ns client ip addr add 192.0.2.$i/24 dev eth0; done
ns client ip -6 addr add 2001:db8:1::10/64 dev eth0 nodad
ns server ip addr add 198.51.100.80/24 dev eth0
ns server ip -6 addr add 2001:db8:2::80/64 dev eth0 nodad
ns router ip addr add 192.0.2.1/24 dev to-client; ns router ip -6 addr add 2001:db8:1::1/64 dev to-client nodad
ns router ip addr add 198.51.100.1/24 dev to-server; ns router ip -6 addr add 2001:db8:2::1/64 dev to-server nodad
ns router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ns client ip route add default via 192.0.2.1; ns client ip -6 route add default via 2001:db8:1::1
ns server ip route add default via 198.51.100.1; ns server ip -6 route add default via 2001:db8:2::1

# Servers: a web server, a name server, a login server, one that resets.
mkdir -p "$work/www" "$work/nginx"
for size in 1k 20k 200k 2M; do yes 'a line of text as a web server would send it' | head -c "$(numfmt --from=iec "${size^^}")" > "$work/www/$size" || true; done
chmod -R a+rX "$work"
cat > "$work/nginx.conf" <<C
daemon off; pid $work/nginx.pid; error_log $work/nginx.log; worker_processes 1; user root;
events { worker_connections 512; }
http { access_log off; client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
  uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
  server { listen 80; listen [::]:80; root $work/www; keepalive_timeout 60; } }
C
ns server nginx -c "$work/nginx.conf" 2>/dev/null &
ns server dnsmasq -k -C /dev/null --no-resolv --no-hosts --port=53 --address=/example.test/198.51.100.80 --log-facility=/dev/null &
ssh-keygen -q -t ed25519 -N '' -f "$work/host"; ssh-keygen -q -t ed25519 -N '' -f "$work/user"
mkdir -p /run/sshd
ns server /usr/sbin/sshd -D -p 22 -h "$work/host" -o PidFile=none -o StrictModes=no -o UsePAM=no -o PermitRootLogin=yes \
    -o AuthorizedKeysFile="$work/user.pub" -f /dev/null 2>/dev/null &
ns server python3 - <<'P' &
import socket, struct
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", 9000)); s.listen()
while True:  # reads a little, then closes with a reset
    c, _ = s.accept(); c.recv(100); c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
P
sleep 1.5
ns router tcpdump -i to-client -s 0 -U -w "$work/raw.pcap" 2>/dev/null &
dump=$!
sleep 1

url=http://198.51.100.80
(printf 'GET /1k HTTP/1.1\r\nHost: a\r\n\r\n'; sleep 12; printf 'GET /1k HTTP/1.1\r\nHost: a\r\n\r\n'; sleep 1) \
    | ns client nc -q 1 198.51.100.80 80 >/dev/null &
(for word in 'echo hello' 'uname -s' 'ls /' 'date' 'id' 'seq 200' 'exit'; do for ((i = 0; i < ${#word}; i++)); do printf '%s' "${word:i:1}"; sleep 0.06; done; echo; sleep 0.8; done) \
    | ns client ssh -tt -i "$work/user" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@198.51.100.80 sh >/dev/null 2>&1 &
ns client ping -q -i 0.2 -c 50 198.51.100.80 >/dev/null &
for round in $(seq 24); do
    for i in 10 11 12 13; do
        ns client curl -s --interface 192.0.2.$i "$url/1k" -o /dev/null &
        ns client curl -s --interface 192.0.2.$i "$url/20k" -o /dev/null &
        ns client dig +short +tries=1 +time=1 -b 192.0.2.$i @198.51.100.80 "r$round.example.test" >/dev/null &
    done
    case $round in
        2) ns client curl -s --limit-rate 400k "$url/2M" -o /dev/null & ;;
        3) ns client curl -s -g "http://[2001:db8:2::80]/200k" -o /dev/null & ;;
        4) ns client curl -s "$url/2M" -o /dev/null & ;;
        5) ns client ping -q -c 3 -s 4000 198.51.100.80 >/dev/null & ;;
        6) ns client ping -6 -q -c 3 2001:db8:2::80 >/dev/null & ;;
        7) ns client ping -6 -q -c 2 -s 3000 2001:db8:2::80 >/dev/null & ;;
        8) ns client curl -s "$url/200k" "$url/200k" "$url/1k" -o /dev/null -o /dev/null -o /dev/null & ;;
    esac
    ns client nc -w 1 198.51.100.80 $((7000 + round)) </dev/null >/dev/null 2>&1 || true
    ns client dig +short +tries=1 +time=1 -p 5353 @198.51.100.80 closed.test >/dev/null 2>&1 || true
    printf 'x' | ns client nc -q 0 -w 1 198.51.100.80 9000 >/dev/null 2>&1 || true
    sleep 0.4
done
sleep 6
kill $dump; wait $dump 2>/dev/null || true
gzip -9nc "$work/raw.pcap" > "$out"
ls -l "$out"
