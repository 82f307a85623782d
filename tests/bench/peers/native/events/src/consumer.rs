//! A consumer of one partition from its beginning on, over librdkafka's C interface: a call takes a batch of records, which
//! costs half the CPU of a call a record.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use rdkafka_sys::*;

const ANSWER_MS: i32 = 10_000;
const POLL_MS: i32 = 100;
const RECORDS_A_CALL: usize = 1_000;
const ERROR_BYTES: usize = 512;

pub struct Consumer {
    queue: *mut rd_kafka_queue_t,
    records: Vec<*mut rd_kafka_message_t>,
}

// SAFETY: librdkafka's handles are of any thread, and a consumer's are of one at a time.
unsafe impl Send for Consumer {}

impl Consumer {
    pub fn new(brokers: &str, topic: &str, partition: i32, settings: &[(String, String)]) -> Result<Consumer, String> {
        let client = client(brokers, settings)?;
        let topic = text(topic)?;
        // SAFETY: the client is open and stays so; the list is this function's.
        unsafe {
            let list = rd_kafka_topic_partition_list_new(1);
            (*rd_kafka_topic_partition_list_add(list, topic.as_ptr(), partition)).offset = 0;
            let error = rd_kafka_assign(client, list);
            rd_kafka_topic_partition_list_destroy(list);
            check(error)?;
            Ok(Consumer { queue: rd_kafka_queue_get_consumer(client), records: vec![ptr::null_mut(); RECORDS_A_CALL] })
        }
    }

    /// Waits, but not for ever, for records and gives their values to `take`.
    pub fn poll(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        // SAFETY: the queue is open; every record is valid until it is destroyed, once, here.
        unsafe {
            let count = rd_kafka_consume_batch_queue(self.queue, POLL_MS, self.records.as_mut_ptr(), self.records.len());
            let count = usize::try_from(count).map_err(|_| error_text(rd_kafka_last_error()))?;
            let mut outcome = Ok(());
            for &record in &self.records[..count] {
                if outcome.is_ok() {
                    outcome = check((*record).err).and_then(|()| take(value(&*record)));
                }
                rd_kafka_message_destroy(record);
            }
            outcome
        }
    }
}

/// How many the topic has.
pub fn partitions(brokers: &str, topic: &str, settings: &[(String, String)]) -> Result<i32, String> {
    let client = client(brokers, settings)?;
    let topic = text(topic)?;
    // SAFETY: all that is made is destroyed, once, in the opposite order.
    unsafe {
        let handle = rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut());
        let mut metadata = ptr::null();
        let outcome = check(rd_kafka_metadata(client, 0, handle, &mut metadata, ANSWER_MS)).and_then(|()| {
            let found = &*(*metadata).topics;
            let outcome = check(found.err).map(|()| found.partition_cnt);
            rd_kafka_metadata_destroy(metadata);
            outcome
        });
        rd_kafka_topic_destroy(handle);
        rd_kafka_destroy(client);
        outcome
    }
}

fn client(brokers: &str, settings: &[(String, String)]) -> Result<*mut rd_kafka_t, String> {
    // A partition is assigned, and no offset committed: the group is nobody's.
    let own = [
        ("bootstrap.servers", brokers),
        ("group.id", "native"),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "error"),
    ];
    let all = own.into_iter().chain(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut error: [c_char; ERROR_BYTES] = [0; ERROR_BYTES];
    // SAFETY: librdkafka ends what it writes into `error` with a zero; rd_kafka_new takes the configuration.
    unsafe {
        let configuration = rd_kafka_conf_new();
        for (name, value) in all {
            let (name, value) = (text(name)?, text(value)?);
            let outcome = rd_kafka_conf_set(configuration, name.as_ptr(), value.as_ptr(), error.as_mut_ptr(), ERROR_BYTES);
            if outcome != rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                return Err(owned(error.as_ptr()));
            }
        }
        let client = rd_kafka_new(rd_kafka_type_t::RD_KAFKA_CONSUMER, configuration, error.as_mut_ptr(), ERROR_BYTES);
        if client.is_null() {
            return Err(owned(error.as_ptr()));
        }
        check(rd_kafka_poll_set_consumer(client))?;
        Ok(client)
    }
}

fn value(record: &rd_kafka_message_t) -> &[u8] {
    if record.payload.is_null() {
        return &[];
    }
    // SAFETY: the payload has `len` bytes as long as the record lives.
    unsafe { std::slice::from_raw_parts(record.payload.cast(), record.len) }
}

fn check(error: rd_kafka_resp_err_t) -> Result<(), String> {
    if error == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(error_text(error)) }
}

fn error_text(error: rd_kafka_resp_err_t) -> String {
    // SAFETY: librdkafka has a constant text of each error.
    unsafe { owned(rd_kafka_err2str(error)) }
}

fn text(word: &str) -> Result<CString, String> {
    CString::new(word).map_err(|_| format!("{word:?} has a zero byte"))
}

/// # Safety
/// The text ends with a zero byte.
unsafe fn owned(text: *const c_char) -> String {
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
