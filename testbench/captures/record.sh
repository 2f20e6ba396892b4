#!/bin/sh
# Records the embedded capture: real programs in network namespaces, seen from the middle one.
#
#   clients 192.0.2.0/24, 2001:db8:c::/64      router          servers 198.51.100.0/24, 2001:db8:5::/64
#   [ctnic-clients c0] <-----> [r-clients  ctnic-router  r-servers] <--> [ctnic-wire: link.py] <--> [s0 ctnic-servers]
#                               ^ tcpdump                                 4 ms, 200 Mbit/s, 0.2 % loss
#
# Needs root and: iproute2 ethtool tcpdump nginx dnsmasq openssh (both ends) curl dig ping python3.
# Runs for about 35 seconds, stops by itself, removes what it made. Touches no interface outside its namespaces.
#
# usage: record.sh [OUTPUT.pcap.gz]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/embedded.pcap.gz}
namespaces="ctnic-clients ctnic-router ctnic-wire ctnic-servers"
work=$(mktemp -d)
chmod 755 "$work"
started=""
made_run_sshd=no

clean_up() {
    for pid in $started; do kill "$pid" 2>/dev/null || true; done
    for pid in $started; do wait "$pid" 2>/dev/null || true; done
    for name in $namespaces; do ip netns del "$name" 2>/dev/null || true; done
    if [ $made_run_sshd = yes ]; then rmdir /run/sshd 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

for program in ip ethtool tcpdump nginx dnsmasq sshd ssh ssh-keygen curl dig ping python3 gzip; do
    command -v "$program" >/dev/null || { echo "record.sh: $program is missing" >&2; exit 1; }
done

# in NAMESPACE COMMAND...: runs to its end.  start NAMESPACE COMMAND...: runs until the clean-up.
in_ns() { ip netns exec "$@"; }
start() {
    ip netns exec "$@" >>"$work/log" 2>&1 &
    started="$started $!"
}

for name in $namespaces; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done

ip -n ctnic-clients link add c0 type veth peer name r-clients netns ctnic-router
ip -n ctnic-router link add r-servers type veth peer name w-router netns ctnic-wire
ip -n ctnic-wire link add w-servers type veth peer name s0 netns ctnic-servers

for pair in ctnic-clients:c0 ctnic-router:r-clients ctnic-router:r-servers \
    ctnic-wire:w-router ctnic-wire:w-servers ctnic-servers:s0; do
    name=${pair%%:*}
    device=${pair#*:}
    # The segments must be those of a wire: none larger than the MTU, every checksum computed.
    in_ns "$name" ethtool -K "$device" tso off gso off gro off tx off rx off sg off >/dev/null
    ip -n "$name" link set "$device" up
done
in_ns ctnic-wire sysctl -q -w net.ipv6.conf.all.disable_ipv6=1

in_ns ctnic-router sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for host in 10 11 12 13 14 15 16 17; do
    ip -n ctnic-clients addr add "192.0.2.$host/24" dev c0
    ip -n ctnic-clients addr add "2001:db8:c::$host/64" dev c0 nodad
done
for host in 10 11 12 13; do
    ip -n ctnic-servers addr add "198.51.100.$host/24" dev s0
    ip -n ctnic-servers addr add "2001:db8:5::$host/64" dev s0 nodad
done
ip -n ctnic-router addr add 192.0.2.1/24 dev r-clients
ip -n ctnic-router addr add 198.51.100.1/24 dev r-servers
ip -n ctnic-router addr add 2001:db8:c::1/64 dev r-clients nodad
ip -n ctnic-router addr add 2001:db8:5::1/64 dev r-servers nodad
for family in -4 -6; do
    if [ $family = -4 ]; then client_gateway=192.0.2.1 server_gateway=198.51.100.1
    else client_gateway=2001:db8:c::1 server_gateway=2001:db8:5::1; fi
    ip $family -n ctnic-clients route add default via $client_gateway
    ip $family -n ctnic-servers route add default via $server_gateway
done

start ctnic-wire python3 "$here/record/link.py" w-router w-servers

# Web servers: repeated text, so that the capture compresses.
mkdir -p "$work/www/slow" "$work/nginx"
python3 "$here/record/objects.py" "$work/www"
cat >"$work/nginx.conf" <<CONF
user root;
worker_processes 1;
daemon off;
pid $work/nginx/pid;
error_log $work/nginx/error.log;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path $work/nginx/body;
    proxy_temp_path $work/nginx/proxy;
    fastcgi_temp_path $work/nginx/fastcgi;
    uwsgi_temp_path $work/nginx/uwsgi;
    scgi_temp_path $work/nginx/scgi;
    keepalive_timeout 60;
    server {
        listen 198.51.100.10:80; listen [2001:db8:5::10]:80;
        listen 198.51.100.11:80; listen [2001:db8:5::11]:80;
        listen 198.51.100.11:8080;
        root $work/www;
        location /slow/ { limit_rate 250k; }
    }
}
CONF
start ctnic-servers nginx -c "$work/nginx.conf" -e "$work/nginx/error.log"

start ctnic-servers dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root \
    --no-hosts --no-resolv --bind-interfaces --cache-size=0 \
    --listen-address=198.51.100.12,2001:db8:5::12 \
    --host-record=www.example.test,198.51.100.10,2001:db8:5::10 \
    --host-record=files.example.test,198.51.100.11,2001:db8:5::11 \
    --host-record=shell.example.test,198.51.100.13,2001:db8:5::13 \
    --local=/example.test/

# A login that can do nothing but echo what is typed, with keys that are thrown away.
ssh-keygen -q -t ed25519 -N '' -C host -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -C client -f "$work/client_key"
cat >"$work/sshd_config" <<CONF
ListenAddress 198.51.100.13:22
HostKey $work/host_key
AuthorizedKeysFile $work/client_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
AllowTcpForwarding no
ForceCommand /bin/cat
CONF
if [ ! -d /run/sshd ]; then mkdir /run/sshd; made_run_sshd=yes; fi
start ctnic-servers "$(command -v sshd)" -D -e -f "$work/sshd_config"

start ctnic-servers python3 "$here/record/servers.py"
sleep 1

ip netns exec ctnic-router tcpdump -i r-clients -s 0 -n -B 16384 --time-stamp-precision=nano \
    -w "$work/embedded.pcap" 2>"$work/tcpdump.log" &
tcpdump=$!
started="$started $tcpdump"
sleep 1

in_ns ctnic-clients timeout 90 python3 "$here/record/clients.py" "$work/client_key" || {
    echo "record.sh: the clients failed" >&2
    cat "$work/log" >&2
    exit 1
}
sleep 1
kill -INT "$tcpdump"
wait "$tcpdump" || true
cat "$work/tcpdump.log"
gzip -9 -n -c "$work/embedded.pcap" >"$output"
ls -l "$work/embedded.pcap" "$output" | awk '{ print $5, $NF }' | sed "s|$work/||"
