//! One sort for everything that is sorted: the library's is 5 to 7 kB of code for each type and order that it is used
//! with, and none of what is sorted here is large.

use std::cmp::Ordering;

/// Sorts as `slice::sort_by` does (equal items stay in order), for 4 bytes an item while it sorts.
pub fn sort_by<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut order = order(items.len(), &mut |a, b| compare(&items[a as usize], &items[b as usize]));
    // Each cycle of the permutation is walked once: what belongs to a place is swapped there.
    for start in 0..items.len() {
        let mut place = start;
        loop {
            let from = std::mem::replace(&mut order[place], place as u32) as usize;
            if from == start {
                break;
            }
            items.swap(place, from);
            place = from;
        }
    }
}

/// The numbers below `count` in the order in which the items with these numbers come.
pub fn order(count: usize, compare: &mut dyn FnMut(u32, u32) -> Ordering) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut is_before = |a: u32, b: u32| compare(a, b).then(a.cmp(&b)).is_lt();
    // Heap sort: the root is the last of those that are left.
    for root in (0..count / 2).rev() {
        sink(&mut order, root, &mut is_before);
    }
    for end in (1..count).rev() {
        order.swap(0, end);
        sink(&mut order[..end], 0, &mut is_before);
    }
    order
}

/// Makes a heap of what is below `root`, whose children are heaps.
fn sink(heap: &mut [u32], mut root: usize, is_before: &mut dyn FnMut(u32, u32) -> bool) {
    loop {
        let mut child = 2 * root + 1;
        if child + 1 < heap.len() && is_before(heap[child], heap[child + 1]) {
            child += 1;
        }
        if child >= heap.len() || !is_before(heap[root], heap[child]) {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sorted_is_in_the_order_of_the_librarys_stable_sort() {
        let mut state = 1_u64;
        for count in (0..60).chain([1000]) {
            for values in [1, 3, 1000] {
                let items: Vec<(u64, usize)> = (0..count)
                    .map(|at| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        ((state >> 33) % values, at)
                    })
                    .collect();
                let (mut ours, mut theirs) = (items.clone(), items);
                sort_by(&mut ours, |a, b| a.0.cmp(&b.0));
                theirs.sort_by_key(|item| item.0);
                assert_eq!(ours, theirs);
            }
        }
    }
}
