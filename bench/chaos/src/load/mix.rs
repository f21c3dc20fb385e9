//! Requests in their order.

/// One kind of request.
#[derive(Debug)]
pub struct Ask {
    pub method: &'static str,
    pub path: &'static str,
    /// A JSON body of this size, if any; the answer must say that all of it arrived.
    pub body_bytes: usize,
    /// The body comes in two halves, with a pause between them.
    pub slow: bool,
    /// A header of this size, which `_echo` sends back.
    pub filler_bytes: usize,
    /// On a connection of its own, closed afterwards.
    pub fresh: bool,
}

const SMALL_BYTES: usize = 120;
const LARGE_BYTES: usize = 20 * 1024;
/// Everybody on the way reads heads of this size.
const FILLER_BYTES: usize = 6 * 1024;

const fn get(path: &'static str) -> Ask {
    Ask {
        method: "GET",
        path,
        body_bytes: 0,
        slow: false,
        filler_bytes: 0,
        fresh: false,
    }
}

/// `_echo` leaves no data behind.
const fn post(body_bytes: usize) -> Ask {
    Ask {
        method: "POST",
        body_bytes,
        ..get("/api/v1/_echo")
    }
}

const fn fresh(ask: Ask) -> Ask {
    Ask { fresh: true, ..ask }
}

/// The containers add 5 ms to each answer. Nineteen, a prime, so that no kind of request meets
/// the same replica each time.
pub static MIX: [Ask; 19] = [
    get("/api/v1/_sleep?ms=0"),
    get("/api/v1/_sleep?ms=15"),
    post(SMALL_BYTES),
    fresh(get("/api/v1/_sleep?ms=0")),
    get("/api/v1/_sleep?ms=95"),
    get("/api/v1/categories"),
    post(LARGE_BYTES),
    get("/api/v1/_sleep?ms=45"),
    fresh(post(SMALL_BYTES)),
    get("/api/v1/_sleep?ms=0"),
    get("/api/v1/_sleep?ms=295"),
    Ask {
        slow: true,
        ..post(LARGE_BYTES)
    },
    fresh(get("/api/v1/_sleep?ms=15")),
    get("/api/v1/_sleep?ms=15"),
    post(SMALL_BYTES),
    Ask {
        filler_bytes: FILLER_BYTES,
        ..get("/api/v1/_echo")
    },
    fresh(get("/api/v1/_sleep?ms=45")),
    get("/api/v1/_sleep?ms=0"),
    post(SMALL_BYTES),
];
