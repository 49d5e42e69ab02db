dist_man_MANS += man/k6fleetd.8 man/k6fleetd.conf.5 man/k6fleetctl.1 man/k6fleet-dashboard.8 man/k6fleet-supervisor.8 man/k6fleet.7
