"""An mTLS pair of proxies between a client and a server, measured."""
