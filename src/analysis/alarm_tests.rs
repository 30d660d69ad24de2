use super::*;

#[test]
fn text_reports_by_whole_words_that_nothing_denies() {
    let (error, warning) = (Some(Severity::Error), Some(Severity::Warning));
    for (line, expected) in [
        ("ERROR: pump jammed", error),
        ("motor failed", error),
        ("Störung 15: Niederdruck", error),
        ("warning low battery", warning),
        ("warn then error", error),
        ("no signal, error 5", error),
        ("not ok: error", error),
        ("\u{1b}[0;31m[E][dht:048]: Requesting data from DHT failed!\u{1b}[0m", error),
        ("\u{1b}[0;33m[W][component:204]: Component took a long time\u{1b}[0m", warning),
        ("2024-05-01 12:00:01 WARN retry after error", warning),
        ("no error", None),
        ("no motor errors", None),
        ("keine Störung", None),
        ("Fehler behoben", None),
        ("errors: 0", None),
        ("ERROR: 0", None),
        ("error count 0", None),
        ("0 errors, 0 warnings", None),
        ("error=none", None),
        ("alarm disarmed", None),
        ("fail-safe mode", None),
        ("fault code 0x00", None),
        ("2024-05-01 12:00:01 INFO recovered from error", None),
        ("[D][sensor:094]: 'Error count': Sending state 0", None),
        ("terror", None),
        ("default mode", None),
        ("all fine", None),
        ("", None),
    ] {
        assert_eq!(text(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn a_state_that_is_the_number_of_an_error_reports_it() {
    for bad in ["E17", "F.28", "E-04", "Err 3", "ERR12", "stuck", "check_failure", "SensorFault"] {
        assert_eq!(state(bad), Some(Severity::Error), "{bad}");
    }
    for fine in ["E1", "e10", "E", "E1234", "E17A", "G17", "F10 heat", "auto", ""] {
        assert_eq!(state(fine), None, "{fine}");
    }
    for fine in ["alarm_cleared", "NoFault", "AlarmOff", "NotInAlarm", "FailSecure"] {
        assert_eq!(state(fine), None, "{fine}");
    }
}

#[test]
fn names_are_read_without_regard_to_case_and_separators() {
    for (name, expected) in [
        ("error", Role::Report(Severity::Error)),
        ("errorCode", Role::Report(Severity::Error)),
        ("error-message", Role::Report(Severity::Error)),
        ("last_error", Role::Report(Severity::Warning)),
        ("battery_low", Role::Flag(Severity::Warning)),
        ("isLow", Role::Flag(Severity::Warning)),
        ("Reset Reason", Role::Level),
        ("error_topic", Role::Plain),
        ("print_error", Role::Report(Severity::Error)),
        ("pvfaultcode", Role::Report(Severity::Error)),
        ("inverter_error_code", Role::Report(Severity::Error)),
        ("lastErrorCode", Role::Plain),
        ("old_error_code", Role::Plain),
        ("gcode_state", Role::Level),
        ("deviceStatus", Role::Level),
        ("fault_state", Role::Report(Severity::Error)),
        ("batteryCritical", Role::Flag(Severity::Warning)),
        ("errand", Role::Plain),
        ("alarm_word", Role::Report(Severity::Error)),
        ("faultFlags", Role::Report(Severity::Error)),
        ("alarmed", Role::Plain),
        ("Störung", Role::Report(Severity::Error)),
        ("self_test", Role::Level),
        ("pump_fault", Role::Switch(Severity::Error)),
        ("commError", Role::Switch(Severity::Error)),
        ("alarm_active", Role::Switch(Severity::Error)),
        ("inAlarm", Role::Switch(Severity::Error)),
        ("pause_on_error", Role::Plain),
        ("retryOnError", Role::Plain),
        ("clearFault", Role::Plain),
        ("default", Role::Plain),
        ("terror", Role::Plain),
        ("sensor_ok", Role::Well(Severity::Warning)),
        ("notebook", Role::Plain),
        ("password", Role::Plain),
        ("battery", Role::Plain),
    ] {
        assert_eq!(role(name.as_bytes()), expected, "{name}");
    }
}

#[test]
fn topics_that_describe_report_nothing() {
    assert_eq!(role_of_topic("homeassistant/binary_sensor/pump/error/config"), None);
    assert_eq!(role_of_topic("homie/pump/error/$name"), None);
    assert_eq!(role_of_topic("homie/pump/$state"), Some(Role::Plain));
    assert_eq!(role_of_topic("homie/pump/motor/error"), Some(Role::Report(Severity::Error)));
    assert_eq!(role_of_topic("$SYS/broker/state"), Some(Role::Level));
    assert_eq!(role_of_topic("N/1/Alarms/HighTemperature"), Some(Role::Report(Severity::Error)));
    assert_eq!(role_of_topic("home/alarm/battery"), Some(Role::Plain));
    assert_eq!(role_of_topic("homie/5/pump/$log/error"), Some(Role::Report(Severity::Error)));
    assert_eq!(role_of_topic("devices/pump/messages/events/$.ct=application%2Fjson"), Some(Role::Plain));
    let rejected = Some(Role::Report(Severity::Error));
    assert_eq!(role_of_topic("$aws/things/pump/shadow/update/rejected"), rejected);
    assert_eq!(role_of_topic("line/parts/rejected"), Some(Role::Plain));
    assert_eq!(role_of_topic("fault"), Some(Role::Report(Severity::Error)));
}

#[test]
fn what_says_that_all_is_well_is_known_in_its_forms() {
    for well in [
        "0",
        "0.0",
        "0x00",
        "no alarm",
        "OK",
        "ok: running",
        "None",
        "No Fault",
        "OFF",
        " normal ",
        "n/a",
        "Kein Fehler.",
        "keine",
        "Störungsfrei",
    ] {
        assert!(is_all_well(well), "{well}");
    }
    for bad in ["1", "E0F", "overcurrent", "okapi", "not ok", "ON", "nothing works", "no response from 7"] {
        assert!(!is_all_well(bad), "{bad}");
    }
}
