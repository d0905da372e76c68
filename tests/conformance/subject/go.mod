module linwin/conformance

go 1.24
