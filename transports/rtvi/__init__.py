"""The transport for RTVI clients: the same call over pipecat's protobuf frames."""
