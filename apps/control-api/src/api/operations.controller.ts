import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { ReadModel } from '../read-model/read-model.js';
import { Reads } from './api-description.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

@ApiTags('operations')
@Controller('v1/operations')
export class OperationsController {
  constructor(private readonly readModel: ReadModel) {}

  @Get()
  @Reads('List operations, newest first', answer.pageOf(answer.operation))
  async list(
    @Query({ schema: ask.operationsQuery }) { minSeq, limit, ...filters }: z.infer<typeof ask.operationsQuery>,
  ) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.list('operation', filters, limit);
  }

  @Get(':operationId')
  @Reads('Get an operation with its steps', answer.operationInFull, 'operation-unknown')
  async get(
    @Param({ schema: ask.operationIdParam }) { operationId }: z.infer<typeof ask.operationIdParam>,
    @Query({ schema: ask.oneQuery }) { minSeq }: z.infer<typeof ask.oneQuery>,
  ) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.get('operation', operationId);
  }
}
