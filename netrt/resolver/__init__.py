"""netrt-dns: the process that answers the questions of containers, on sockets of its own in each sandbox.

It outlives netrtd, which hands it names (`messages`, `client`). What is answered is said in `netrt.dns`; here it is received,
kept ready, sent, and asked of upstreams. One thread, one loop, and nothing that blocks."""
