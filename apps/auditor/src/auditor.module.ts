import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { KeyDirectory } from '@vouch/domain';
import { auditDatabaseSettings } from '@vouch/migrations';
import { KEY_DIRECTORY, PlatformModule } from '@vouch/platform';
import { AuditMetrics } from './audit-metrics.js';
import { AuditReport } from './audit-report.js';
import { type AuditorConfig, readAuditorConfig, readLogIdentity } from './auditor-config.js';
import { ProjectionRunner } from './projection-runner.js';
import { LogController } from './receipts/log.controller.js';
import { ReceiptController } from './receipts/receipt.controller.js';
import { AUDITOR_CONFIG, LOG_IDENTITY } from './tokens.js';

@Module({
  imports: [
    PlatformModule.forService({ service: 'auditor' }),
    TypeOrmModule.forRootAsync({
      useFactory: () => ({
        ...auditDatabaseSettings({ url: readAuditorConfig().DATABASE_URL, applicationName: 'vouch-auditor' }),
        retryAttempts: 20,
        retryDelay: 500,
      }),
    }),
  ],
  controllers: [ReceiptController, LogController],
  providers: [
    { provide: AUDITOR_CONFIG, useFactory: readAuditorConfig },
    {
      provide: LOG_IDENTITY,
      useFactory: (config: AuditorConfig, directory: KeyDirectory) => readLogIdentity(config, directory),
      inject: [AUDITOR_CONFIG, KEY_DIRECTORY],
    },
    AuditMetrics,
    AuditReport,
    ProjectionRunner,
  ],
})
export class AuditorModule {}
