/**
 * Gateway: one TLS port for every app of the fleet. It folds the event log into routes and carries connections to
 * instances, ending TLS under its wildcard certificate or passing it through. The invariant: traffic goes only to an
 * instance that the KMS granted its keys in its current placement epoch; what the log takes back is cut.
 */
import 'reflect-metadata';
import { runService } from '@vouch/platform';
import { GatewayModule } from './gateway.module.js';
import { GatewayService } from './gateway.service.js';
import { answerRoutes } from './routes-listing.js';
import { RoutesView } from './routes-view.js';

await runService(GatewayModule, {
  service: 'gateway',
  healthListenerPaths: (app) => answerRoutes(() => app.get(RoutesView).listing()),
  started: (app) => app.get(GatewayService).start(),
  stopping: (app) => app.get(GatewayService).stop(),
});
