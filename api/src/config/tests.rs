use super::*;

fn read(arguments: &[&str]) -> Result<Settings, SettingsError> {
    Settings::read([&["kijimuna"], arguments].concat())
}

fn error(arguments: &[&str]) -> String {
    read(arguments).expect_err("refused").to_string()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:3010");
    assert_eq!(settings.data_dir, PathBuf::from("./data"));
    let limits = (settings.limits.send_rate_per_s, settings.limits.send_burst, settings.rest_rate_per_s);
    assert_eq!(limits, (20, 60, 1_000));
}

#[test]
fn the_table_agrees_with_the_limits() {
    let (read, known) = (read(&[]).unwrap().limits, Limits::default());
    assert_eq!(format!("{read:?}"), format!("{known:?}"));
}

#[test]
fn a_flag_wins_over_the_file() {
    let file = file("listen = \"0.0.0.0:1\"\nsend_rate = 5\n");
    let path = file.path().to_str().unwrap();
    let settings = read(&["--config", path, "--listen", "[::1]:2"]).unwrap();
    assert_eq!((settings.listen.port(), settings.limits.send_burst), (2, 15));
}

#[test]
fn a_wrong_value_names_itself() {
    let text = error(&["--listen", "nowhere"]);
    for part in ["KIJIMUNA_LISTEN", "--listen", "\"nowhere\"", "127.0.0.1:3010"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(error(&["--send-rate", "-1"]).contains("KIJIMUNA_SEND_RATE"));
    assert!(error(&["--log", "loud"]).contains("KIJIMUNA_LOG"));
    assert!(read(&["--log", "warn,kijimuna=debug"]).is_ok());
    assert!(error(&["--send-rate=many"]).contains("KIJIMUNA_SEND_RATE"));
    assert!(error(&["--log-format=xml"]).contains("text or json"));
    assert!(error(&["--sned-rate=1"]).contains("--send-rate"), "a typo is answered with the right name");
}

#[test]
fn the_playground_is_on_where_only_this_machine_comes() {
    for (arguments, on) in [
        (&[][..], true),
        (&["--listen=[::1]:1"], true),
        (&["--listen=0.0.0.0:1"], false),
        (&["--listen=0.0.0.0:1", "--playground=on"], true),
        (&["--playground=off"], false),
    ] {
        assert_eq!(read(arguments).unwrap().playground, on, "{arguments:?}");
    }
    assert!(error(&["--playground=yes"]).contains("on or off"));
}

#[test]
fn a_secret_is_neither_short_nor_shown() {
    let text = error(&["--admin-key", "hunter2"]);
    assert!(text.contains("KIJIMUNA_ADMIN_KEY") && !text.contains("hunter2"), "{text}");
    let settings = read(&["--admin-key", "correct horse battery"]).unwrap();
    assert!(!format!("{settings:?}").contains("horse"));
}

#[test]
fn a_file_with_an_unknown_key_is_refused() {
    let file = file("lisen = \"0.0.0.0:1\"\n");
    let text = error(&["--config", file.path().to_str().unwrap()]);
    assert!(text.contains("\"lisen\""), "{text}");
    assert!(error(&["--config", "/does/not/exist"]).contains("/does/not/exist"));
}

#[test]
fn what_this_version_cant_do_is_not_ignored() {
    assert!(error(&["--scylla-uri", "127.0.0.1:9042"]).contains("KIJIMUNA_SCYLLA_URI"));
}
