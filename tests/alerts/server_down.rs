//! A server that nobody reaches says nothing: what tells of it is Prometheus' own `up`.

use crate::recording::Recording;

#[test]
fn a_server_that_does_not_answer_is_told_as_long_as_it_is_silent() {
    let mut recording = Recording::default();
    for minute in 0..40 {
        if (10..30).contains(&minute) {
            recording.add_silence();
        } else {
            recording.add_scrape("");
        }
    }
    recording.assert_fires("CabinetDown", 12..30);
    recording.assert_silent("CabinetDown", 0..10);
    recording.assert_silent("CabinetDown", 31..40);
}
