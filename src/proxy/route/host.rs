//! Host names of requests, in the spelling of the tables.

/// Bytes of the longest name that a claim can have.
const NAME_MAX: usize = 253;

/// Room for a name in lower case, which few requests need.
pub type Room = Option<[u8; NAME_MAX]>;

/// The name in `host`: lower case, without a port and the dot of the root. `None`: no claim has
/// such a long one.
pub fn name<'a>(host: &'a str, room: &'a mut Room) -> Option<&'a str> {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return (name.len() <= NAME_MAX).then_some(name);
    }
    let room = room.insert([0; NAME_MAX]).get_mut(..name.len())?;
    room.copy_from_slice(name.as_bytes());
    room.make_ascii_lowercase();
    std::str::from_utf8(room).ok()
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_is_lower_case_without_port_and_root() {
        for (host, name) in [
            ("a.example.com", Some("a.example.com")),
            ("A.Example.COM:8080", Some("a.example.com")),
            ("a.example.com.:80", Some("a.example.com")),
            ("[2001:DB8::1]:80", Some("[2001:db8::1]")),
            ("", Some("")),
            (&"a".repeat(254), None),
            (&"A".repeat(254), None),
        ] {
            assert_eq!(super::name(host, &mut None), name, "{host}");
        }
    }
}
