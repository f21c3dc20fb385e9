//! The one integration crate. Each module is a story; `tests/README.md` says how to run which.

mod support;

mod acme; // certificates from a real ACME server
mod admin; // the admin API, over TCP and its socket
mod asleep; // services that nobody asks for, on real containers
mod balance; // which replica a request goes to, and how many it may have
mod browser; // the example's page in a real browser, on real containers
mod cli; // the command line, and every way to be refused
mod containers; // the real binary on a real Docker daemon
mod control; // the control loop on paused time, as text
mod dashboard; // the dashboard in a real browser, on real containers
mod deploy; // other images by hand, good and bad, under load
mod documents; // what the documents say, held against the program
mod engine_docker; // the docker engine on a real daemon
mod events; // what happened, as a list and as a stream
mod face; // counts by hand, logs and orders on real containers
mod failover; // the real binary in front of plain addresses that fail
mod floods; // frames of HTTP/2 without end
mod fuzz; // any bytes at a real listener, and what goes out
mod gate; // the claim against the drain, under loom
mod grpc; // gRPC and gRPC-web, in the words of either
mod h2; // HTTP/2 of clients
mod h2_replicas; // replicas that speak HTTP/2
mod held; // clients that leave while their requests wait, or when they were sent
mod held_socket; // down and up again behind a socket that somebody else holds
mod https; // TLS with the user's own certificates
mod hygiene; // what must not get through to a replica, nor back
mod idle; // connections to replicas that nobody uses for a while
mod labels; // labels that images and strangers bring along, on a real daemon
mod log; // what is logged, when nothing reads it
mod manual; // what docs/ shows: messages, commands, files of before and after
mod monitoring; // the alerts and the Grafana dashboard, held against the real metrics
mod openapi; // what the API says of itself
mod plain; // the plain way of plain requests, and what else is on their connections
mod proxy; // the real binary in front of plain addresses
mod retried; // what is asked for again, and what never is, on every way
mod scaling; // scaling policies under recorded traffic
mod schema; // the JSON Schema of the configuration
mod simulation; // the control loop in a world of faults, thousands of times
mod slow; // clients that are slow, silent or too many
mod streamed; // bodies that are passed on piece by piece
mod supervised; // under a supervisor that hears how it is doing, as systemd does
mod terminal; // what a terminal gets of what containers say
mod tidy; // the rules of the house
mod tracing; // spans at a collector, and what replicas hear of them
mod upgrade; // a new process in place of the running one
mod upstream_tls; // TLS between Tidegate and its replicas
mod ways; // one table of requests, replicas and clients, down every way that there is
mod websocket; // tunnels through the real binary, in front of plain addresses
