//! `login`, `logout`, `profiles`.
//!
//! Invariant: a credential is only ever in files that nobody else can read. Not here: what it is used for.

use crate::{
    house::{House, with_stdin},
    run::finish,
};

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_checked_and_saved_for_its_owner_alone() {
    let house = House::new();
    let wrong = with_stdin(&mut house.stranger(&["login", "--with-key-stdin"]), "ryn_test_nonsense");
    assert_eq!((wrong.code, house.profile().exists()), (4, false), "{}", wrong.stderr);
    let nothing = finish(&mut house.stranger(&["login"]));
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""), "no prompt without a terminal");
    let ran = house.log_in();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains(&house.key) && !ran.stderr.contains(&house.key));
    #[cfg(unix)]
    assert_eq!((mode(&house.profile()), mode(house.profile().parent().unwrap())), (0o600, 0o700));
    let file = house.folder.path().join("key.txt");
    std::fs::write(&file, format!("{}\n", house.key)).unwrap();
    let from_file = ["login", "--profile", "second", "--api-key-file", file.to_str().unwrap(), "--json"];
    assert_eq!(finish(&mut house.stranger(&from_file)).object()["profile"], "second");
    let listed = finish(&mut house.saved(&["profiles", "list", "--json"]));
    let names: Vec<serde_json::Value> =
        listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&names[0]["profile"], &names[0]["current"]), (&"default".into(), &true.into()));
    assert_eq!(finish(&mut house.saved(&["profiles", "use", "second"])).code, 0);
    assert_eq!(finish(&mut house.saved(&["logout", "--profile", "default"])).code, 0);
    assert!(!house.profile().exists());
    assert_eq!(finish(&mut house.saved(&["balance"])).code, 0);
    assert_eq!(finish(&mut house.saved(&["balance", "--profile", "default"])).code, 1);
    assert_eq!(finish(&mut house.saved(&["balance", "--profile", "../x"])).code, 2);
}

#[test]
fn an_agent_registers_waits_and_goes_on() {
    let house = House::new();
    let code = house.register();
    assert_eq!(house.register(), code, "running it again must not replace the code that the owner holds");
    assert_eq!(finish(&mut house.saved(&["balance"])).code, 4);
    house.admin(&["agent", "bind", &code, "--account", &house.account, "--scopes", "image,credits:read"]);
    let all = finish(&mut house.stranger(&["login", "--register", "Tester"]));
    assert!(all.stderr.contains("scope"), "{}", all.stderr);
    let scopes = ["login", "--register", "Tester", "--scopes", "image,credits:read", "--json"];
    let ran = finish(&mut house.stranger(&scopes));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let me = finish(&mut house.saved(&["whoami", "--json"])).object();
    assert_eq!(
        (&me["agent"]["agent_name"], &me["key"]["key_name"]),
        (&"Tester".into(), &"Tester (command line)".into())
    );
    let text = std::fs::read_to_string(house.profile()).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let token = |table: &toml::Table| table["token"]["access_token"].as_str().unwrap().to_owned();
    assert_eq!(token(&table).split('.').count(), 3);
    assert!(!text.contains(&code), "a spent code is of no use in a file");
    // A token that is too old is refreshed without a word, one that was revoked is replaced by the key.
    for change in ["expires_at_ms", "access_token"] {
        let mut table: toml::Table = std::fs::read_to_string(house.profile()).unwrap().parse().unwrap();
        let before = token(&table);
        table["token"][change] = match change {
            "expires_at_ms" => 0.into(),
            _ => format!("{before}x").into(),
        };
        std::fs::write(house.profile(), table.to_string()).unwrap();
        let ran = finish(&mut house.saved(&["balance", "--json"]));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        let table: toml::Table = std::fs::read_to_string(house.profile()).unwrap().parse().unwrap();
        assert_ne!(token(&table), before, "{change}");
    }
    #[cfg(unix)]
    assert_eq!(mode(&house.profile()), 0o600);
}
