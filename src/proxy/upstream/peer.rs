//! A replica as Pingora's connectors see it.

use super::dial::{Dial, Patience};
use crate::service::replica::idle_pool::Use;
use crate::service::replica::lease::Lease;
use crate::service::spec::{Forward, Protocol};
use pingora::prelude::HttpPeer;
use std::sync::Arc;

pub fn peer(
    lease: &Lease,
    forward: &Forward,
    used: Use,
    patience: Patience,
) -> (HttpPeer, Arc<Dial>) {
    let replica = lease.replica();
    let mut peer = HttpPeer::new(replica.address, false, String::new());
    // The pool does not say how long a connection was silent; so there is one for each use.
    peer.group_key = replica.generation.rotate_left(1) ^ u64::from(used == Use::Once);
    let options = &mut peer.options;
    let dial = Arc::new(Dial::new(replica, forward, patience));
    options.custom_l4 = Some(Arc::clone(&dial) as _);
    if forward.upstream.protocol == Protocol::H2 {
        options.set_http_version(2, 2);
    }
    options.read_timeout = Some(forward.read_timeout);
    options.write_timeout = Some(forward.write_timeout);
    options.idle_timeout = Some(replica.connections.idle_pool.limit(used));
    (peer, dial)
}
