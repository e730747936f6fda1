-- The write door. Lock order: worker, runs in id order, open acts, tasks, people and grants,
-- incidents, streams that are no run, events; newel.commit_batch keeps it.

-- name: commit_batch
-- params: worker, epoch, r_id, r_from, r_to, r_head, r_last, r_state, r_wake, r_release, r_reason, r_with, d_run, d_key, i_run, i_key, i_attempt, i_at, i_fingerprint, i_effect, i_system, i_credential, i_detail, e_stream, e_seq, e_type, e_key, e_at, e_entry, e_payload, rest
-- Writes many runs' Changes; answers with the runs it refused, each with its reason.
select run_id, reason from newel.commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)
