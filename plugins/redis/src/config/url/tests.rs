use super::*;

fn parsed(text: &str) -> Parsed {
    ServerUrl::new(text).parse().unwrap()
}

fn refusal(text: &str) -> String {
    ServerUrl::new(text).parse().unwrap_err().message
}

#[test]
fn an_address_names_host_port_database_and_login() {
    let all = parsed("rediss://shop:p%40ss@cache.eu.internal:6380/3");
    assert_eq!(all.addresses, [Address::tcp("cache.eu.internal", 6380)]);
    assert!(all.is_tls);
    assert_eq!(all.username.as_deref(), Some("shop"));
    assert_eq!(all.password.unwrap().expose(), "p@ss");
    assert_eq!(all.db, Some(3));

    let short = parsed("redis://[::1]");
    assert_eq!(short.addresses, [Address::tcp("::1", 6379)]);
    assert_eq!((short.is_tls, short.username, short.db), (false, None, None));
    assert_eq!(parsed("localhost:7").addresses, [Address::tcp("localhost", 7)]);
    assert_eq!(parsed("redis://:x@a").password.unwrap().expose(), "x");
    assert_eq!(parsed("valkey://a?db=4&protocol=resp3").db, Some(4));
}

#[test]
fn an_address_of_sentinels_names_them_all_and_the_master() {
    let all = parsed("redis+sentinel://s1,s2:7,[::1]/mymaster/2");
    let expected = [Address::tcp("s1", 26379), Address::tcp("s2", 7), Address::tcp("::1", 26379)];
    assert_eq!(all.addresses, expected);
    assert!(all.is_sentinel && !all.is_tls);
    assert_eq!((all.master.as_deref(), all.db), (Some("mymaster"), Some(2)));
    assert_eq!(parsed("rediss+sentinel://s1").master, None);
}

#[test]
fn an_address_may_be_a_socket_file() {
    let socket = parsed("unix:///run/redis.sock?db=1&user=u&pass=p");
    assert_eq!(socket.addresses, [Address::Unix("/run/redis.sock".into())]);
    assert_eq!((socket.db, socket.username.as_deref()), (Some(1), Some("u")));
}

#[test]
fn what_is_no_address_is_refused_without_showing_a_password() {
    for (text, reason) in [
        ("http://a", "unknown scheme `http`"),
        ("user:hunter2@http://a", "the address has no scheme"),
        ("redis://", "the host is missing"),
        ("redis://a:0", "the port is not a number from 1 to 65535"),
        ("redis://a:port", "the port is not a number from 1 to 65535"),
        ("redis://::1", "an IPv6 address stands in brackets, as in `[::1]:6379`"),
        ("redis://[::1", "`[` has no closing `]`"),
        ("redis://a,b", "one server is expected, not several"),
        ("redis://a/main", "the database is not a number"),
        ("redis://a?ssl=1", "unknown parameter `ssl`"),
        ("redis://%zz@a", "`%` is not followed by two hexadecimal digits"),
        ("redis://a b", "` ` cannot be in a host"),
        ("unix://run/x", "the path of the socket is not absolute"),
    ] {
        assert_eq!(refusal(text), reason, "{text}");
    }
    let shown = format!("{:?}", ServerUrl::new("redis://u:hunter2@a:1/0"));
    assert_eq!(shown, "a:1");
    assert_eq!(format!("{:?}", ServerUrl::new("hunter2://a")), "•••");
}
