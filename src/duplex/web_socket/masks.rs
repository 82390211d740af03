//! Masks that nobody can predict (RFC 6455, section 5.3).

use std::cell::RefCell;

/// Returns a mask for one frame. A system without randomness gets a mask of zeros.
pub fn random_mask() -> [u8; 4] {
    MASKS.with_borrow_mut(|masks| {
        if masks.is_empty() {
            // The system is asked once for many.
            let mut random = [0; MASKS_LEN];
            let _ = getrandom::fill(&mut random);
            masks.extend_from_slice(random.as_chunks().0);
        }
        masks.pop().unwrap_or_default()
    })
}

thread_local! {
    static MASKS: RefCell<Vec<[u8; 4]>> = const { RefCell::new(Vec::new()) };
}

/// What systems give without interruption.
const MASKS_LEN: usize = 256;
