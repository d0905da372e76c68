module linwin/agent

go 1.25
