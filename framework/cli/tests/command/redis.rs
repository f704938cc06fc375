//! Commands about the entries of a cache on a Redis server.

use larder_servers::Redis;

use crate::support::Folder;

#[test]
fn entries_on_a_server_are_set_read_listed_counted_and_cleared() {
    let server = Redis::start();
    let folder = Folder::with(&format!(
        "[connections.main]\nkind = \"redis\"\nurl = \"{}\"\nconnect_timeout = \"1m\"\n\
         [caches.users]\nbackend = {{ kind = \"redis\", connection = \"main\" }}\n",
        server.url()
    ));
    let run = |arguments: &[&str]| {
        let said = folder.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}", said.stderr);
        said.stdout
    };
    run(&["check"]);
    run(&["set", "users", "42", "Ada"]);
    run(&["set", "users", "4{2}", "Grace"]);
    assert!(run(&["get", "users", "42"]).contains("Ada"));
    let listed = run(&["scan", "users"]);
    assert!(listed.contains("42\n") && listed.contains("4{2}\n"), "{listed}");
    assert!(run(&["stats", "users"]).contains("redis"));
    run(&["clear", "users", "--yes"]);
    assert_eq!(folder.run(&["get", "users", "42"]).code, 1);
    assert_eq!(run(&["scan", "users"]), "");
    server.kill();
    let said = folder.run(&["get", "users", "42"]);
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("hint: "), "{}", said.stderr);
}
