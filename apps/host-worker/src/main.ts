import 'reflect-metadata';
import { runService } from '@vouch/platform';
import { HostWorker } from './host-worker.js';
import { HostWorkerModule } from './host-worker.module.js';

await runService(HostWorkerModule, {
  service: 'host-worker',
  started: (app) => app.get(HostWorker).start(),
  stopping: (app) => app.get(HostWorker).stop(),
});
