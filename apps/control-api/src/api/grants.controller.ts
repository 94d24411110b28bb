import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { ReadModel } from '../read-model/read-model.js';
import { Reads } from './api-description.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

@ApiTags('grants')
@Controller('v1/grants')
export class GrantsController {
  constructor(private readonly readModel: ReadModel) {}

  @Get()
  @Reads('List grants and denials with every check, newest first', answer.pageOf(answer.grant))
  async list(@Query({ schema: ask.grantsQuery }) { minSeq, limit, ...filters }: z.infer<typeof ask.grantsQuery>) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.list('grant', filters, limit);
  }
}
