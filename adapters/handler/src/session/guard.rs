//! Containing panics of the application.

use core::any::Any;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use crate::address::Address;
use crate::handler::Service;

/// Runs code of the application. `None`: it panicked, and the service has been told.
///
/// What it left half-done is never used again, apart from being told of the end and dropped.
pub(super) fn guard<S: Service, R>(
    service: &S,
    address: &Address,
    run: impl FnOnce() -> R,
) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => Some(result),
        Err(payload) => {
            report(service, address, payload);
            None
        }
    }
}

#[cold]
pub(super) fn report<S: Service>(service: &S, address: &Address, payload: Box<dyn Any + Send>) {
    let message = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(message), _) => message,
        (None, Some(message)) => message.as_str(),
        (None, None) => "",
    };
    // The report may panic as well, and so may dropping what was thrown. There is nobody left
    // to tell, and what that throws is not worth a third attempt.
    let reported = catch_unwind(AssertUnwindSafe(|| service.on_panic(address, message)));
    for thrown in [Err(payload), reported].into_iter().filter_map(Result::err) {
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
            core::mem::forget(again);
        }
    }
}
