def test_a_file_that_is_no_log_is_refused_at_once(run, rows_file):
    done = run("watch", rows_file({"prompt": "A?", "response": "B."}), "--port", "0")
    assert (done.status, "not a judgment log" in done.err) == (2, True)
