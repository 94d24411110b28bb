import 'reflect-metadata';
import { runService, ServiceState } from '@vouch/platform';
import { ApiTokens } from './auth/api-tokens.js';
import type { ControlApiConfig } from './config/control-api-config.js';
import { configureHttp, httpAdapter } from './configure-http.js';
import { ControlApiModule, logger } from './control-api.module.js';
import { EventStreams } from './events/event-streams.js';
import { FleetFeed } from './fleet/fleet-feed.js';
import { OperationRunner } from './fleet/operation-runner.js';
import { OperationQueue } from './jobs/operation-queue.js';
import { ReadModelPool } from './read-model/read-model-pool.js';
import { CONTROL_API_CONFIG } from './tokens.js';

/** Not ready while the fleet view is not at the end of the log, or can never be there again. */
function reportFeed(feed: FleetFeed, state: ServiceState): void {
  const report = (): void => {
    const now = feed.state;
    if (now.state === 'live') state.release('fleet');
    else if (now.state === 'broken') state.hold('fleet', `the log is damaged: ${now.error.message}`);
    else state.hold('fleet', `reading the log, at event ${now.position}`);
  };
  report();
  feed.onChange(report);
}

await runService(ControlApiModule, {
  service: 'control-api',
  adapter: httpAdapter(),
  configure: (app) => {
    configureHttp(app, app.get(ApiTokens), logger('http'));
    reportFeed(app.get(FleetFeed), app.get(ServiceState));
    app.get(OperationRunner).start();
  },
  listen: (app) => app.get<ControlApiConfig>(CONTROL_API_CONFIG).listen,
  started: (app) => app.get(OperationQueue).start(),
  stopping: async (app) => {
    app.get(EventStreams).close();
    await app.get(OperationQueue).stop();
    await app.get(OperationRunner).stop();
    await app.get(ReadModelPool).close();
  },
});
