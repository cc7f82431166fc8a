//! Who may change what is condemned, and look at packs meanwhile: one collection, check or repair that somebody asked
//! for, and the scrub when there is none. It gives way in the middle of a pack, and goes on afterwards.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::BlobError;
use crate::condemned::Condemned;

/// The right to do so.
pub(super) struct Turns {
    condemned: Arc<Mutex<Condemned>>,
    asked: Arc<Mutex<()>>,
    /// Whether somebody has asked, and waits or is at it.
    is_wanted: watch::Sender<bool>,
}

impl Turns {
    pub fn new(condemned: Condemned) -> Self {
        Self {
            condemned: Arc::new(Mutex::new(condemned)),
            asked: Arc::default(),
            is_wanted: watch::Sender::new(false),
        }
    }

    /// For what somebody asked for. Waits for nothing but the scrub to let go.
    ///
    /// # Errors
    /// Another one is under way.
    pub async fn ask(&self) -> Result<Guard, BlobError> {
        let asked = Arc::clone(&self.asked).try_lock_owned();
        let turn = Turn {
            is_wanted: self.is_wanted.clone(),
            _asked: asked.map_err(|_| BlobError::Busy)?,
        };
        turn.is_wanted.send_replace(true);
        Ok(Guard {
            condemned: Arc::clone(&self.condemned).lock_owned().await,
            _turn: Some(turn),
        })
    }

    /// For the scrub: when nobody else wants it.
    pub async fn spare(&self) -> Guard {
        let mut wanted = self.is_wanted.subscribe();
        loop {
            // An error would be that there is no sender, and we have one.
            let _ = wanted.wait_for(|is_wanted| !is_wanted).await;
            let condemned = Arc::clone(&self.condemned).lock_owned().await;
            if !*wanted.borrow() {
                return Guard {
                    condemned,
                    _turn: None,
                };
            }
        }
    }

    /// Ends when the scrub has to give way.
    pub async fn is_wanted(&self) {
        let _ = self.is_wanted.subscribe().wait_for(|is_wanted| *is_wanted).await;
    }
}

/// That somebody has asked.
struct Turn {
    is_wanted: watch::Sender<bool>,
    /// Let go of after the note above is gone: the next who asks puts it there again.
    _asked: OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.is_wanted.send_replace(false);
    }
}

/// What is condemned, for whoever changes it; given on to tasks that must not be cut off.
pub(super) struct Guard {
    condemned: OwnedMutexGuard<Condemned>,
    _turn: Option<Turn>,
}

impl Deref for Guard {
    type Target = Condemned;

    fn deref(&self) -> &Condemned {
        &self.condemned
    }
}

impl DerefMut for Guard {
    fn deref_mut(&mut self) -> &mut Condemned {
        &mut self.condemned
    }
}
