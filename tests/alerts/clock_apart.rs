//! A machine whose clock is wrong.

use crate::recording::Recording;

#[test]
fn a_clock_that_is_off_is_told_whichever_way() {
    for seconds in [-30, 30] {
        let mut recording = Recording::default();
        for minute in 0..30 {
            let off = if (10..20).contains(&minute) { seconds } else { 0 };
            recording.add_scrape(&format!("cabinet_clock_offset_seconds {off}"));
        }
        recording.assert_silent("ClockApart", 0..15);
        recording.assert_fires("ClockApart", 15..20);
        recording.assert_silent("ClockApart", 20..30);
    }
}
