//! Results of several lists, shortened until they fit.

use std::rc::Rc;

use crate::rpc::outgoing::{Body, Whole};

/// The first step that fits with its least number of rows, with as many more, up to `most`, as there is room for; the last
/// step if none does. `shown` gives the JSON of a step with so many rows, and `least` has those of each step.
pub(super) fn fitting(
    budget: usize,
    least: &[usize],
    most: usize,
    shown: &dyn Fn(usize, usize) -> Vec<u8>,
) -> Rc<dyn Body> {
    let mut json = Vec::new();
    for (step, least) in least.iter().enumerate() {
        let (mut few, mut many) = ((*least).min(most), most + 1);
        json = shown(step, few);
        if json.len() > budget {
            continue;
        }
        while many - few > 1 {
            let middle = (few + many) / 2;
            let next = shown(step, middle);
            if next.len() <= budget {
                (few, json) = (middle, next);
            } else {
                many = middle;
            }
        }
        break;
    }
    Rc::new(Whole::from_json(json))
}
